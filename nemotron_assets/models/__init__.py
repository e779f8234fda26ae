"""Models as tables: one row per model version, with its weights in the lake and the models and tables it was made from.

`registry` finds, makes and stores versions, `columns` declares tables of models, and `generator` fetches language
models that others trained. A stage declares the tables of the models that it makes.
"""
