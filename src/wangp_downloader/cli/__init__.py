"""The command line: verbs over the session. Owns words and columns; decides nothing itself."""
