"""Numbers of the SFT data, Nemotron-Pretraining-SFT: how many questions are written, answered, verified and kept."""
