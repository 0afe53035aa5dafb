"""What a user chooses: a network's spec, the optimizer, schedules, early stopping; and a catalogue of it all."""
