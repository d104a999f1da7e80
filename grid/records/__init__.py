"""What is planned and what was found: trials and their keys, the ledger, the Parquet tables."""
