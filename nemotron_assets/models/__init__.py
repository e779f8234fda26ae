"""Models as tables: one row per version, with its weights in the lake and the models and tables it was made from.

`registry` finds, makes and stores versions, `columns` declares the tables, `generator` fetches language models that
others trained. A stage declares the tables of the models it makes.
"""
