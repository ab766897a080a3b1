//! Who and what there is in the world to develop with.

/// Who there is: the first grants the others their credits.
pub(super) const PEOPLE: [(&str, i64); 3] = [
    ("admin@example.org", 0),
    ("ana@example.org", 5000),
    ("ben@example.org", 2000),
];

/// A probe to be.
pub(super) struct Place {
    /// What it is called.
    pub(super) name: &'static str,
    /// Degrees, east is positive.
    pub(super) longitude: f64,
    /// Degrees, north is positive.
    pub(super) latitude: f64,
    /// Its place among [`PEOPLE`].
    pub(super) owner: usize,
    /// Whether its agent ever said hello.
    pub(super) is_used: bool,
}

const fn place(name: &'static str, longitude: f64, latitude: f64, owner: usize) -> Place {
    Place {
        name,
        longitude,
        latitude,
        owner,
        is_used: true,
    }
}

/// Probes, in the order in which they are set up.
pub(super) const PLACES: [Place; 6] = [
    place("Buenos Aires, university", -58.3969, -34.6175, 1),
    place("Montevideo, home", -56.1645, -34.9011, 1),
    place("Frankfurt, data centre", 8.6821, 50.1109, 1),
    place("Nairobi, exchange", 36.8219, -1.2921, 2),
    place("Tokyo, office", 139.6917, 35.6895, 2),
    Place {
        is_used: false,
        ..place("Ushuaia, not installed yet", -68.3030, -54.8019, 2)
    },
];
