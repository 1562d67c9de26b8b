"""
Who may do what: the policy language of AWS, read once and evaluated for every request.

Pure: no I/O and no clock. `document.parse` reads a policy, `evaluate.authorize_key` and `authorize_account` decide.
"""
