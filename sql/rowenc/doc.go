package rowenc
