"""The site folder that is being written: its files, their states, their checksums."""
