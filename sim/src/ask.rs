//! What `chronyc` would ask a node.

use crate::node::NodeId;
use crate::world::World;
use truechimer_engine::wire::command::{
    MIN_LENGTH, Reply, ReplyCode, ReplyHeader, Request, SourceReport, SourceStatsReport, Status,
    TrackingReport, VERSION,
};

impl World {
    /// Reply of a node's daemon to a request; `None` if there is none or if the request was refused.
    pub fn ask(&mut self, node: NodeId, request: &Request) -> Option<Reply> {
        let datagram = self.command(node, &request.encode(VERSION, 0, 1))?;
        let header = ReplyHeader::decode(&datagram).filter(|_| datagram.len() >= MIN_LENGTH)?;
        if header.status != Status::Success {
            return None;
        }
        Reply::decode(ReplyCode::from_number(header.reply)?, &datagram)
    }

    /// Report `tracking` of a node.
    pub fn tracking(&mut self, node: NodeId) -> Option<TrackingReport> {
        match self.ask(node, &Request::Tracking)? {
            Reply::Tracking(report) => Some(report),
            _ => None,
        }
    }

    /// Report `sources` of a node.
    pub fn sources(&mut self, node: NodeId) -> Vec<SourceReport> {
        self.each(node, Request::SourceData, |reply| match reply {
            Reply::Source(report) => Some(report),
            _ => None,
        })
    }

    /// Report `sourcestats` of a node.
    pub fn source_stats(&mut self, node: NodeId) -> Vec<SourceStatsReport> {
        self.each(node, Request::SourceStats, |reply| match reply {
            Reply::SourceStats(report) => Some(report),
            _ => None,
        })
    }

    fn each<T>(
        &mut self,
        node: NodeId,
        request: fn(u32) -> Request,
        take: impl Fn(Reply) -> Option<T>,
    ) -> Vec<T> {
        let count = match self.ask(node, &Request::NSources) {
            Some(Reply::NSources(count)) => count,
            _ => 0,
        };
        (0..count)
            .filter_map(|i| take(self.ask(node, &request(i))?))
            .collect()
    }
}
