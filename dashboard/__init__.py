"""What the pages share: selection, queries, figures and words. Never imports torch or transformers."""

from dashboard.server import malloc

malloc.share()  # before the first of the libraries that start threads
