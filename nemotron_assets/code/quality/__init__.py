"""Quality of source files: measurements of every file, the rules that drop files, secrets, and the final corpus."""
