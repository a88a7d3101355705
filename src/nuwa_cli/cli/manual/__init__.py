"""The program described from itself: manual pages, completion."""
