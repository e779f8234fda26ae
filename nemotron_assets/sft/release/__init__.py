"""The published set: usable rows of all SFT tables, decontaminated, as the configs Code, General and MATH."""
