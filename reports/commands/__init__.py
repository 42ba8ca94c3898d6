"""What the commands beside ``plan`` show, one module each."""
