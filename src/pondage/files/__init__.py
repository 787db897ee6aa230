"""Files: objects with a URL, over one object-store library. `interface` says what the other rooms may ask."""
