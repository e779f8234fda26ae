"""What every rule of the web and code data keeps of every source, host and language, as its threshold moves."""
