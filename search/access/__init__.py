"""Who may ask what, from where and how often; and what is written down about it."""
