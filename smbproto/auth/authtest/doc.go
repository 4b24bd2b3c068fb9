// Package authtest is for tests of what logs on by Kerberos: a realm, and users with tickets of it for one server.
package authtest
