module pveha

go 1.26
