"""What things are: records, objects, canaries, alerts, settings. No I/O, no clock, no Beam."""
