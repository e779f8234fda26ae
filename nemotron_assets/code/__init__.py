"""The pipeline of Nemotron-Pretraining-Code: from repositories to a corpus of source code and to questions about it.

Its rooms are `sources` (repositories, their files, duplicate files, metadata), `licences` (the licence that each file
may be used under), `quality` (measurements of files, and which files are kept) and `qa` (snippets, and problems with
solutions that a language model writes about them). The modules directly in this folder and in `terms` (files and
texts about licences) are shared by the rooms.
"""
