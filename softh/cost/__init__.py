"""What an estimate needs before it runs: sizes, time, memory, hardware."""
