module github.com/ackbox/ackbox

go 1.25.0
