"""ARM code without a board: models of its cores, and instructions counted by an emulator."""
