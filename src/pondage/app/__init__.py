"""For app authors: `App`, the decorators, media types, the request's context."""
