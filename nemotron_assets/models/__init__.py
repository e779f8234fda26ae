"""Models as tables: one row per model version, with its weights in the lake and the models and tables it was made from.

`registry` finds, makes and stores versions, and `columns` declares tables of models. `generator` fetches language
models that others trained, and `writer` finds the model that a stage writes with. A stage declares the tables of the
models that it makes.
"""
