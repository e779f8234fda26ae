"""What every step takes from every source: no host, language, repository or source disappears unseen."""
