"""What SFT data is made from beside the other tables of the lake: seeds, and the language models that write it."""
