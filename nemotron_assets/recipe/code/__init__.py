"""Numbers of the source code, Nemotron-Pretraining-Code: sources, copies, licences, quality, problems."""
