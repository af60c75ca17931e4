"""Person records and their rules: fields, search, history, trash and the interfaces of a store. No I/O."""
