"""Quality of code: numbers about every file, the rules that drop files, secrets, and the corpus that is left."""
