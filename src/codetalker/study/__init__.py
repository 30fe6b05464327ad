"""A user study: which of two faces do people prefer? Films in, answers kept, preferences out.

After the flow speech -> features -> codes -> motion -> mesh -> file: people judge the files.
"""
