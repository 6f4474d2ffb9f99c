//! Who may log in.

/// Someone with a login. The token is as good as any published example, and no secret.
#[derive(Clone, Copy)]
pub struct User {
    /// For `X-User-Id`.
    pub id: &'static str,
    /// For `X-Auth-Token`.
    pub token: &'static str,
    /// The login name.
    pub username: &'static str,
    /// Whether the rate limit applies. It does not to roles with `api-bypass-rate-limit`: admin,
    /// bot and app by default.
    pub rate_limited: bool,
    /// What this one is good for.
    pub purpose: &'static str,
}

/// Everyone with a login.
pub const USERS: [User; 3] = [
    User {
        id: "CkCPNctrgCDfmWLqC",
        token: "1Dd4iN_ClKn5jl-xPC36snQ4s9Zd5GZnXCQuCNSKcVE",
        username: "mia.okafor",
        rate_limited: true,
        purpose: "an ordinary user, who can read every call",
    },
    User {
        id: "fRv4qm8ycWHXSA7af",
        token: "q7Zt0bLwR3uVxN8sYk_5HfGdPc2MjAeE9iT4oKnBrX1",
        username: "jane.doe",
        rate_limited: true,
        purpose: "an ordinary user, who cannot read one of the calls",
    },
    User {
        id: "sT4tUsBr0wSeRb0tQ",
        token: "Vg6yW1mJ_hS9pDqXz0Lc8RtNaK3vUfB7eOi2-YxTwC5",
        username: "status.bot",
        rate_limited: false,
        purpose: "a bot, to whom no rate limit applies",
    },
];

/// Who logs in with these, as Rocket.Chat finds out: both must belong to the same user.
pub(super) fn authenticate(id: &str, token: &str) -> Option<&'static User> {
    USERS
        .iter()
        .find(|user| (user.id, user.token) == (id, token))
}
