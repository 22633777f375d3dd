"""What a core would make of a network's code, by an emulator and by models: no board is needed, no time is measured."""
