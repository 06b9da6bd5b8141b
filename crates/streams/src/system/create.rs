//! Create, and fork.

use bytes::Bytes;
use streamkeeper_protocol::stream::{
    Create, Fork, ForkGrant, ForkRejection, ForkRequest, InvalidSubOffset, StreamId,
    resolve_sub_offset,
};
use streamkeeper_protocol::{Batch, ContentType, Offset, ReadFrom, StreamName, json};

use super::Streamkeeper;
use crate::limits::Permit;
use crate::stream_supervisor::stream::message::{ForkError, Message};
use crate::stream_supervisor::{CallError, Live, Open, OpenError};
use crate::{CreateError, CreateRequest, Created, ForkFrom, Page, ReadError, Unavailable};

/// How much of the source is read at once to find where a sub-offset lies.
const SUB_OFFSET_PAGE_BYTES: u64 = 1 << 20;

impl Streamkeeper {
    /// Creates a stream, or confirms that it exists as described (PROTOCOL.md sections 5.1 and 4.2).
    ///
    /// The answer comes when the stream is durable.
    pub async fn create(
        &self,
        name: &StreamName,
        request: CreateRequest,
    ) -> Result<Created, CreateError> {
        let permit = self.permit(request.body.len())?;
        self.create_with(name, request, permit).await
    }

    /// [`create`](Self::create) with a permit that was taken before the body was read.
    pub async fn create_with(
        &self,
        name: &StreamName,
        request: CreateRequest,
        permit: Permit,
    ) -> Result<Created, CreateError> {
        match request.fork.clone() {
            None => {
                let content_type = request.content_type.clone().unwrap_or_default();
                let create = self.creation(request, &content_type, None)?;
                self.create_stream(name, create, permit).await
            }
            Some(fork) => {
                // In a task of its own: a caller who gives up leaves no reference without a fork.
                let (system, name) = (self.clone(), name.clone());
                let forked = async move { system.fork(&name, request, fork, permit).await };
                tokio::spawn(forked).await.unwrap_or(Err(Unavailable::OutcomeUnknown.into()))
            }
        }
    }

    fn creation(
        &self,
        request: CreateRequest,
        content_type: &ContentType,
        fork: Option<ForkRequest>,
    ) -> Result<Create, CreateError> {
        Ok(Create {
            id: self.context.draw_id(),
            content_type: request.content_type,
            expiry: request.expiry,
            retention: request.retention,
            closed: request.closed,
            batch: first_batch(content_type, request.body)?,
            fork,
        })
    }

    async fn create_stream(
        &self,
        name: &StreamName,
        create: Create,
        permit: Permit,
    ) -> Result<Created, CreateError> {
        let bytes = create.batch.as_ref().map_or(0, |batch| batch.payload().len());
        let mut permit = Some(permit);
        loop {
            let open = self.context.open(name, Open::OrCreate).await;
            let handle = open.map_err(|error| match error {
                OpenError::NotFound => Unavailable::Restarting,
                OpenError::Unavailable(why) => why,
            })?;
            let permits = match permit.take() {
                Some(permit) => permit,
                None => self.permit(bytes)?,
            };
            let permits = handle.admit(permits, bytes)?;
            let create = Box::new(create.clone());
            match handle.call(|reply| Message::Create { create, permits, reply }).await {
                Ok(answer) => return answer,
                Err(CallError::NotDelivered) => self.context.registry.found_dead(name, &handle),
                Err(CallError::OutcomeUnknown) => return Err(Unavailable::OutcomeUnknown.into()),
            }
        }
    }

    /// Creates a fork: resolve where it branches off, take a reference on the source, create the
    /// stream, and let go of the source again if that fails.
    async fn fork(
        &self,
        name: &StreamName,
        request: CreateRequest,
        from: ForkFrom,
        permit: Permit,
    ) -> Result<Created, CreateError> {
        if let Some(existing) = self.confirm(name, &request, &from).await? {
            return Ok(existing);
        }
        let source = self.source(&from.source).await?;
        let content_type = source.config.content_type.clone();
        let sub_bytes = self.sub_bytes(&from, &source).await?;
        let mut create = self.creation(request, &content_type, None)?;
        let fork = Fork {
            id: create.id,
            source: from.source.clone(),
            source_id: source.id,
            content_type: create.content_type.clone(),
            anchor: from.offset,
            sub_offset: from.sub_offset,
            sub_bytes,
        };
        let id = create.id;
        self.context.forks_on_the_way.insert(id);
        let grant = self.take_reference(fork).await.inspect_err(|_| self.arrived(id))?;
        let origin = grant.origin.clone();
        create.fork = Some(fork_request(&from, Some((grant.origin, grant.config))));
        let created = self.create_stream(name, create, permit).await;
        match &created {
            Ok(created) if created.fresh => self.arrived(id),
            // It may yet come. The reference stays until the system starts again: better held than lost.
            Err(CreateError::Unavailable(Unavailable::OutcomeUnknown)) => {}
            // It may be there all the same.
            Err(CreateError::Unavailable(Unavailable::Storage(error))) if !error.is_refusal() => {
                if self.context.load_says_lost(name, id).await {
                    self.arrived(id);
                    self.context.release_source(origin, id);
                }
            }
            // Unless the fork was created, nothing else will ever let go of the source.
            Ok(_) | Err(_) => {
                self.arrived(id);
                self.context.release_source(origin, id);
            }
        }
        created
    }

    fn arrived(&self, fork: StreamId) {
        self.context.forks_on_the_way.remove(&fork);
    }

    /// If the name is taken: whether it is by the fork that is asked for.
    async fn confirm(
        &self,
        name: &StreamName,
        request: &CreateRequest,
        from: &ForkFrom,
    ) -> Result<Option<Created>, CreateError> {
        match self.context.open(name, Open::Existing).await {
            Ok(_) => {}
            Err(OpenError::NotFound) => return Ok(None),
            Err(OpenError::Unavailable(why)) => return Err(why.into()),
        }
        let create = Create {
            id: self.context.draw_id(),
            content_type: request.content_type.clone(),
            expiry: request.expiry,
            retention: request.retention,
            closed: request.closed,
            batch: None,
            fork: Some(fork_request(from, None)),
        };
        use streamkeeper_protocol::stream::CreateRejection::NotGranted;
        match self.create_stream(name, create, self.permit(0)?).await {
            Ok(created) => Ok(Some(created)),
            // The name has become free meanwhile.
            Err(CreateError::Rejected(NotGranted)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn source(&self, name: &StreamName) -> Result<Live, CreateError> {
        match self.look(name).await {
            Ok((_, live)) => Ok(live),
            Err(ReadError::NotFound | ReadError::Trimmed(_)) => {
                Err(ForkRejection::SourceNotFound.into())
            }
            Err(ReadError::Gone) => Err(ForkRejection::SourceDeleted.into()),
            Err(ReadError::Unavailable(why)) => Err(why.into()),
        }
    }

    /// How many bytes past the fork offset the fork branches off. Data never changes, so this can be
    /// found without the source's actor.
    async fn sub_bytes(&self, from: &ForkFrom, source: &Live) -> Result<u64, CreateError> {
        let anchor = match from.offset {
            Some(offset) if offset.position() < source.tail => offset,
            // The tail is aligned, and the source itself refuses what lies past it.
            _ if from.sub_offset == 0 => return Ok(0),
            _ => return Err(InvalidSubOffset::Overshoot.into()),
        };
        let json = source.config.content_type.is_json();
        let mut messages = Vec::new();
        let mut at = anchor;
        while at.position() < source.tail && (messages.len() as u64) < from.sub_offset.max(1) {
            let page = self.source_page(source, at).await?;
            messages.extend(page.chunks.iter().flat_map(|shared| shared.chunk.messages()));
            at = page.next_offset;
        }
        Ok(resolve_sub_offset(json, anchor, from.sub_offset, messages.into_iter())?)
    }

    async fn source_page(&self, source: &Live, at: Offset) -> Result<Page, CreateError> {
        let page = self.page(source, ReadFrom::At(at), SUB_OFFSET_PAGE_BYTES).await;
        page.map_err(|error| match error {
            ReadError::Unavailable(why) => why.into(),
            ReadError::Trimmed(trimmed) => {
                ForkRejection::BeforeEarliest { earliest: trimmed.earliest }.into()
            }
            ReadError::NotFound | ReadError::Gone => ForkRejection::SourceNotFound.into(),
        })
    }

    async fn take_reference(&self, fork: Fork) -> Result<ForkGrant, CreateError> {
        loop {
            let open = self.context.open(&fork.source, Open::Existing).await;
            let handle = open.map_err(|error| match error {
                OpenError::NotFound => CreateError::Fork(ForkRejection::SourceNotFound),
                OpenError::Unavailable(why) => why.into(),
            })?;
            let asked = fork.clone();
            match handle.call(|reply| Message::Fork { fork: asked, reply }).await {
                Ok(Ok(grant)) => return Ok(*grant),
                Ok(Err(ForkError::Rejected(rejection))) => return Err(rejection.into()),
                Ok(Err(ForkError::Unavailable(why))) => return Err(why.into()),
                Err(CallError::NotDelivered) => {
                    self.context.registry.found_dead(&fork.source, &handle);
                }
                Err(CallError::OutcomeUnknown) => return Err(Unavailable::OutcomeUnknown.into()),
            }
        }
    }
}

fn fork_request(
    from: &ForkFrom,
    granted: Option<(streamkeeper_protocol::stream::Origin, streamkeeper_protocol::stream::Config)>,
) -> ForkRequest {
    ForkRequest {
        source: from.source.clone(),
        offset: from.offset,
        sub_offset: from.sub_offset,
        granted,
    }
}

/// The first messages of a stream: for JSON an empty array, too, is an empty stream (section 9.1.3).
fn first_batch(content_type: &ContentType, body: Bytes) -> Result<Option<Batch>, CreateError> {
    if content_type.is_json() && !body.is_empty() {
        return Ok(json::frame(&body)?);
    }
    Ok(Batch::one(body))
}
