"""What language models write about web documents: rephrasings, questions and answers, translations."""
