"""What one hostile caller costs the others: attacks, a second caller beside them, and the gateway's memory."""
