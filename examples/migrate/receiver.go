package main

import (
	"encoding/json"
	"errors"

	"gorm.io/gorm"
)

// mailReceiver is as it was, with its two methods: Ackbox calls what a loop of one's own
// around a channel has called so far.
type mailReceiver struct{ db *gorm.DB }

// Mail is what the receiver leaves behind.
type Mail struct {
	Order  int
	Failed bool
}

var errNoAddress = errors.New("the customer has no address")

// Consumer writes a mail. It may be called again after it has done its work, as ever.
func (r mailReceiver) Consumer(body []byte) error {
	var order struct {
		Order     int  `json:"order"`
		NoAddress bool `json:"no_address"`
	}
	if err := json.Unmarshal(body, &order); err != nil {
		return err
	}
	if order.NoAddress {
		return errNoAddress
	}
	return r.db.Create(&Mail{Order: order.Order}).Error
}

// FailAction notes that there will be none.
func (r mailReceiver) FailAction(_ error, body []byte) error {
	var order struct {
		Order int `json:"order"`
	}
	if err := json.Unmarshal(body, &order); err != nil {
		return err
	}
	return r.db.Create(&Mail{Order: order.Order, Failed: true}).Error
}
