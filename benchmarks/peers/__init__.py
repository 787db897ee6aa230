"""What a user would pick instead, installed by pip into environments of their own."""
