"""The zoo: small language models pretrained from scratch on public-domain books, and measured while they train."""
