"""kmsq through other libraries. Each integration needs its extra; nothing else in kmsq imports them."""
