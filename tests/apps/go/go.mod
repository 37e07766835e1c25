module example.com/hello

go 1.19

require example.com/uptime v1.0.0

replace example.com/uptime => ./uptime
