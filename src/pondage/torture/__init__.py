"""The crash test that users run: `torturer` kills and breaks, `callers` go on calling and write journals of what they
were told, `auditor` compares these with what the server says afterwards, `report` tells.
"""
