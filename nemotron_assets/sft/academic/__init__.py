"""Questions about academic documents: which documents are academic, questions about them, and long documents."""
