"""Person records and their rules: fields, names, search and the interfaces of a store. No I/O."""
