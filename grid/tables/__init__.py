"""The Parquet tables, a public interface: made from plans and ledger, and what everything after them reads."""
