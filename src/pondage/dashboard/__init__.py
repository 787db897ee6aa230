"""What the pages for people need from Python: the built page, its headers, where a browser is led.

The pages' source is `web/`; `make web` builds it into `static/`, which is committed.
"""
