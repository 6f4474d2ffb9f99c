//! Accepts connections, and owns the tasks that serve them.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::connection;
use super::state::State;

/// How long to wait after a failed `accept`. Out of file descriptors, it fails at once and again;
/// without a pause the loop would eat a core.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(10);

/// Serves until aborted, which closes every connection.
pub(super) async fn accept(listener: TcpListener, state: Arc<State>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((socket, peer)) = accepted else {
                    tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
                    continue;
                };
                state.note_connection();
                connections.spawn(connection::serve(socket, peer.ip(), Arc::clone(&state)));
            }
            // Taken out as they end, or the set would grow for as long as the server runs.
            Some(_) = connections.join_next() => {}
        }
    }
}
