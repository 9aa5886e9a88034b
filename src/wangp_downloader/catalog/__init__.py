"""What Wan2GP needs: its definitions, its settings, its rules, turned into requirements.

Owns everything that is known about Wan2GP itself. Reads files of the Wan2GP tree and never writes there;
knows no network, no other store, no plan.
"""
