"""What things cost to own: cost lines, months, ways to do the task, break-even, sensitivity."""
