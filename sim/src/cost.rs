//! What sources cost: worlds with one server that has many addresses.

use crate::link::Link;
use crate::node::{NodeId, NodeSpec};
use crate::reference::Failure;
use crate::scenario::{EPOCH, server_config};
use crate::world::World;
use std::net::{IpAddr, Ipv4Addr};

/// A world with one server, and a client to which it is `count` sources, polled every 16 s. After [`full`]
/// seconds all of them have as many samples as they may keep.
///
/// # Errors
/// If the world can't be made.
pub fn sources(count: u32) -> Result<(World, NodeId), Failure> {
    let mut world = World::new(EPOCH, 1);
    world.set_default_link(Link::exponential(1e-4, 1e-4));
    let server = world.add(NodeSpec::perfect(server_config(1)))?;
    let lines: Vec<String> = (0..count)
        .map(|i| {
            let address = Ipv4Addr::from_bits(0x0a01_0000 + i);
            world.add_address(server, IpAddr::V4(address));
            format!("server {address} minpoll 4 maxpoll 4 minsamples 64")
        })
        .collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let client = world.add(NodeSpec::reading(&lines)?.fast_by(0.0, 1e-5))?;
    Ok((world, client))
}

/// Seconds after which so many sources have all the samples that they may keep: 64, and 64 older ones. Requests are at
/// least 0.2 s apart, so many sources are polled less often.
#[must_use]
pub fn full(count: u32) -> f64 {
    150.0 * (0.22 * f64::from(count)).max(17.0)
}
