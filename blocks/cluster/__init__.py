"""Work beyond one machine: questions go to workers of a cluster in call batches, answers come back in segments.

The process of the flow alone looks up what is paid for, writes the ledger and writes DuckDB. A call batch is some
pending questions in one Parquet object on storage that all workers see. A worker writes what it has paid for into
segments, Parquet objects that are whole or not there, before anything else is done with it. The flow takes them into
its ledger, those of a worker that died too, before anything of that batch is asked again.
"""
