"""The room of SFT data in other languages: rows of other tables, translated line by line."""
